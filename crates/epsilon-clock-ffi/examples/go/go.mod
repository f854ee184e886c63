module epsilon_clock_example

go 1.18
