"""Custom Kedro datasets: versioned finished folders, pictures, tables and pages, with previews for Kedro-Viz."""
