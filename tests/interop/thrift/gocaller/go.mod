module meltemi.io/tests/gocaller

go 1.26.0

require github.com/apache/thrift v0.17.0
