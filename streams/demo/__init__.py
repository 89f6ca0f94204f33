"""The main job on real data, with crashes on the way and a checker at the end."""
