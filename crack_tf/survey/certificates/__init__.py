"""What could have been missed: known cracks laid into a flight's own photographs, and the certificate made of them."""
