"""Side-by-side measurements of Mailtap, on this machine: `make bench`. Not part of the installed package."""
