module meltemi.io/tests/gopeer

go 1.22
