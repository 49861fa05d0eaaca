"""Real servers for tests, benchmarks and fault runs: started in temporary folders on loopback, ended by process id."""
