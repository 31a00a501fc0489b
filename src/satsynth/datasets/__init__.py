"""What a data set is: descriptions, classes as raw masks write them, colours."""
