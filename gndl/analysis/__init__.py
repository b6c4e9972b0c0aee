"""What trained networks have learnt: their features, and what can be measured in them; runs in, tables out."""
