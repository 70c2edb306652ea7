"""What other programs read: GIS, annotation, drawing."""
