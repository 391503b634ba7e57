"""What the gateway does with a message, whatever it is stored in, carried by or written as."""
