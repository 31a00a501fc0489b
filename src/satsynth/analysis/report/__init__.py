"""Tables, figures, pictures and the page that shows them."""
