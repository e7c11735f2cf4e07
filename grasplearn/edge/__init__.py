"""What a step costs, and how it leaves this program for a device."""
