"""The site of the documents: what mkdocs cannot do by itself, the generated pages, and a look at it in a browser."""
