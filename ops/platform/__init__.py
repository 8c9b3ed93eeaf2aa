"""The learning platform's side: the documents it owns, read from files and brought into the database."""
