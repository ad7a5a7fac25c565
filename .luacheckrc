std = "luajit"
max_line_length = 120
unused_args = false -- Interfaces name every argument they are given.
files["spec"] = { std = "+busted" }
files["lua/swlua/meta"] = { ignore = { "211", "212", "241", "631" } } -- Declarations for editors, never run.
