"""KeyScore: give a Video-LLM the frames that matter."""
