"""Does selection change the answers of a Video-LLM? A tiny one, trained here."""
