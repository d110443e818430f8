"""What a conversation is: the ask, the events of an answer, the reply they amount to. No I/O, no clock, no vendor."""
