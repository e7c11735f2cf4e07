"""Teaching: a support set from one demonstration, and fine-tuning on it by any learning rule."""
