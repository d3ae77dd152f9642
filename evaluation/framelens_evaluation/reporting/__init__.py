"""What a report says and how it looks: documents, pages, Markdown, figures, provenance."""
