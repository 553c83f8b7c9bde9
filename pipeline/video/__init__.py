"""FFmpeg: what a video holds, its frames, and writing videos."""
