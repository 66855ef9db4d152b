"""The rendered pages in their order, each as a document of its own that can be bound with the others: for the PDF and the EPUB."""
