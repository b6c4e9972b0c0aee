"""Tables, from results to LaTeX (booktabs), Markdown and CSV."""
