"""Where photographs and ready-made images come from: folders, zips, tars, lists."""
