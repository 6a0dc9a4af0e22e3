"""What a person reads: the report page, its drawings, the model card."""
