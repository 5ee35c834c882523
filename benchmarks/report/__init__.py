"""Tables, figures and the page of all results."""
