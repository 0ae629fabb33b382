"""What a release of the shop is: dials, by which its searches do for users with the flag and for those without."""
