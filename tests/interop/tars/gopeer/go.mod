module meltemi.io/tests/tars

go 1.26.0

require github.com/TarsCloud/TarsGo v1.4.5

require go.uber.org/automaxprocs v1.5.2 // indirect
