---@meta swlua
--- Annotations of the whole API for editors (lua-language-server). Never run.

-- Events --------------------------------------------------------------------------------------------------------

--- An event: string keys; values are nil, booleans, numbers, strings, or nested tables. After emit it is the engine's.
---@alias swlua.Event table<string, any>|ffi.cdata*

--- "250ms", "10s", "5m", "1h" or "2d"
---@alias swlua.Duration string

--- "64KiB", "16MiB" or a number of bytes
---@alias swlua.Size string|integer

---@alias swlua.FieldType "i64"|"f64"|"bool"|"time"|"string"
---@alias swlua.OnError "fail"|"skip"|"dead-letter"
---@alias swlua.Format "jsonl"|"csv"|"lines"|"msgpack"|swlua.Csv

--- What a component's functions may ask about the instance they run in.
---@class swlua.Instance
---@field id integer 0 .. count-1
---@field count integer
---@field job string
---@field component string
---@field restored boolean

--- Where functions put what they emit.
---@class swlua.Collector
---@field key any of the current event
---@field time integer of the current event, epoch milliseconds
---@field watermark integer
---@field from string stream the event came by: "component" or "component:output"
local Collector = {}

--- Emits to the default output; the time defaults to the input event's.
---
---     out:emit({ card = event.card, n = state.n })
---@param event swlua.Event
---@param time integer?
---@param held swlua.Event[]? with manual_ack: the held events that it descends from; default the current one
---@return integer? id of the event, in a source whose events are acknowledged
function Collector:emit(event, time, held) end

--- Emits to a named output; one that nobody reads is dropped and counted.
---
---     out:emit_to("rejected", event)
---@param name string
---@param event swlua.Event
---@param time integer?
---@param held swlua.Event[]? with manual_ack: the held events that it descends from; default the current one
---@return integer? id of the event, in a source whose events are acknowledged
function Collector:emit_to(name, event, time, held) end

--- With manual_ack: the event is done with, once all that was emitted in its name is.
---
---     out:ack(event)
---@param event swlua.Event
function Collector:ack(event) end

--- With manual_ack: what the event descends from is sent again.
---
---     out:fail(event)
---@param event swlua.Event
function Collector:fail(event) end

--- An event-time timer for the current key; the same time set twice fires once.
---
---     out:timer(out.time + 60000, "expire")
---@param time integer
---@param name string?
function Collector:timer(time, name) end

--- A timer by the engine's clock.
---
---     out:processing_timer("20ms", "deadline")
---@param duration swlua.Duration
---@param name string?
function Collector:processing_timer(duration, name) end

--- Takes a timer back.
---
---     out:cancel("deadline")
---@param name_or_time string|integer
function Collector:cancel(name_or_time) end

--- The engine's clock, virtual in tests: epoch milliseconds.
---
---     local age = out:now() - event.ts
---@return integer
function Collector:now() end

-- Tables of functions -------------------------------------------------------------------------------------------

--- A custom operator. Other members are your own.
---@class swlua.Operator
---@field version integer? of the shape of its state
---@field state swlua.Schema? of keyed state
---@field manual_ack boolean? it says itself when an event is done with
---@field setup_instance? fun(self: table, instance: swlua.Instance, state: any)
---@field apply fun(self: table, event: swlua.Event, out: swlua.Collector, state: table?)
---@field on_timer? fun(self: table, time: integer, out: swlua.Collector, state: table?, name: string?)
---@field get_state? fun(self: table): any
---@field upgrade? fun(state: any, from_version: integer): any
---@field rescale? fun(states: any[], n: integer): any[]
---@field close? fun(self: table)

--- A custom source.
---@class swlua.Source
---@field version integer?
---@field setup_instance? fun(self: table, instance: swlua.Instance, state: any)
---@field get_events fun(self: table, out: swlua.Collector): "done"|"idle"|nil
---@field ack? fun(self: table, id: integer) tracking = "ack": all that was made of the event is processed
---@field fail? fun(self: table, id: integer) tracking = "ack": the event is going to be sent again
---@field get_state? fun(self: table): any
---@field upgrade? fun(state: any, from_version: integer): any
---@field rescale? fun(states: any[], n: integer): any[]
---@field close? fun(self: table)

--- A custom sink.
---@class swlua.Sink
---@field version integer?
---@field setup_instance? fun(self: table, instance: swlua.Instance, state: any)
---@field apply fun(self: table, event: swlua.Event)
---@field get_state? fun(self: table): any
---@field prepare? fun(self: table, checkpoint: integer): any
---@field commit? fun(self: table, checkpoint: integer, prepared: any)
---@field abort? fun(self: table, checkpoint: integer, prepared: any)
---@field close? fun(self: table)

-- Options -------------------------------------------------------------------------------------------------------

---@class swlua.JobOptions
---@field delivery "at-most-once"|"at-least-once"|"exactly-once"|nil default "at-most-once"
---@field tracking "checkpoint"|"ack"|nil default "checkpoint"
---@field ack_timeout swlua.Duration? default "30s"
---@field parallelism integer? default 1
---@field checkpoint { interval: swlua.Duration?, retain: integer?, timeout: swlua.Duration? }?
---@field backpressure { policy: string?, queue: integer?, high: number?, low: number? }?
---@field on_error swlua.OnError? default "dead-letter" when at-most-once, else "fail"
---@field restart { attempts: integer?, delay: swlua.Duration? }?
---@field watchdog swlua.Duration? default "10s"

---@class swlua.ComponentOptions
---@field parallelism integer? instances, 1 .. 128
---@field on_error swlua.OnError?
---@field ttl swlua.Duration? of keyed state
---@field queue integer? events per channel

---@class swlua.OperatorOptions: swlua.ComponentOptions
---@field schema swlua.Schema? of what it emits

---@class swlua.ApplyOptions: swlua.OperatorOptions
---@field state swlua.Schema? of keyed state
---@field manual_ack boolean? it says itself when an event is done with
---@field on_timer? fun(time: integer, out: swlua.Collector, state: table?, name: string?) of a plain function

---@class swlua.SourceOptions: swlua.OperatorOptions
---@field time string|(fun(event: swlua.Event): integer?)|nil field or function that gives event time
---@field max_delay swlua.Duration? how far out of order events may come
---@field max_ahead swlua.Duration? how far ahead of the clock an event's time may be
---@field idle swlua.Duration|{ after: swlua.Duration?, advance: boolean? }|nil
---@field rate number? events per second at most
---@field journal boolean? of a source that cannot be rewound: what arrives is written to an event log first

---@class swlua.EventTimeOptions: swlua.ComponentOptions
---@field max_delay swlua.Duration?
---@field max_ahead swlua.Duration?
---@field idle swlua.Duration|{ after: swlua.Duration?, advance: boolean? }|nil

-- Objects -------------------------------------------------------------------------------------------------------

--- The layout of records; made by sw.record.
---@class swlua.Schema
---@field kind "schema"
---@field fields { name: string, type: swlua.FieldType }[]
---@field text string "a:i64,b:f64"

--- Made by sw.csv.
---@class swlua.Csv

--- Made by sw.from and sw.to.
---@class swlua.Connector

---@class swlua.Job
---@field name string
local Job = {}

---@param name string
---@param source swlua.Connector|swlua.Source
---@param options swlua.SourceOptions?
---@return swlua.Stream
function Job:source(name, source, options) end

---@return swlua.Stream
function Job:dead_letters() end

---@return table
function Job:describe() end

---@return string
function Job:fingerprint() end

---@return { file: string, line: integer?, text: string }[]
function Job:warnings() end

---@class swlua.JoinOptions: swlua.OperatorOptions
---@field on string|[any, any]|nil the key: a field, two fields, or two functions
---@field type "inner"|"left"|"right"|"full"|nil
---@field row fun(l: table?, r: table?, age: integer?): table? makes the row; nil emits nothing
---@field as_of boolean? against the table as it stood at the event's time
---@field within [swlua.Duration, swlua.Duration]? right is within left + [first, second]
---@field window table? pairs inside the same window
---@field lateness swlua.Duration? with as_of: how late an event may come
---@field ttl swlua.Duration? how long a row waits for its partner

---@class swlua.Table a materialized view: the latest row of each key
local Table = {}

--- Its changes: rows as they become the latest of their key, and rows that go, with `deleted = true`.
---@return swlua.Stream
function Table:changes() end

---@param name string
---@param other swlua.Table
---@param spec swlua.JoinOptions?
---@return swlua.Table
function Table:join(name, other, spec) end

---@class swlua.Stream
local Stream = {}

---@param name string
---@param fn fun(event: swlua.Event): swlua.Event
---@param options swlua.OperatorOptions?
---@return swlua.Stream
function Stream:map(name, fn, options) end

---@param name string
---@param fn fun(event: swlua.Event): any
---@param options swlua.ComponentOptions?
---@return swlua.Stream
function Stream:filter(name, fn, options) end

---@param name string
---@param fn fun(event: swlua.Event, emit: fun(event: swlua.Event, time: integer?))
---@param options swlua.OperatorOptions?
---@return swlua.Stream
function Stream:flat_map(name, fn, options) end

---@param name string
---@param operator swlua.Operator|fun(event: swlua.Event, out: swlua.Collector, state: table?)
---@param options swlua.ApplyOptions?
---@return swlua.Stream
function Stream:apply(name, operator, options) end

---@param name string
---@param time string|fun(event: swlua.Event): integer?
---@param options swlua.EventTimeOptions?
---@return swlua.Stream
function Stream:event_time(name, time, options) end

---@param name string
---@return swlua.Stream
function Stream:output(name) end

---@param key string|string[]|fun(event: swlua.Event): any
---@return swlua.Stream keyed
function Stream:key_by(key) end

---@return swlua.Stream
function Stream:shuffle() end

---@return swlua.Stream
function Stream:broadcast() end

---@return swlua.Stream
function Stream:global() end

---@param fn fun(event: swlua.Event, n: integer): integer
---@return swlua.Stream
function Stream:partition(fn) end

---@param window swlua.Window
---@return swlua.Windowed
function Stream:window(window) end

--- Without a window: with every event its key's updated row.
---@param name string
---@param fields table<string, swlua.Aggregator>
---@param options swlua.OperatorOptions?
---@return swlua.Stream
function Stream:aggregate(name, fields, options) end

--- A materialized view by key; `event.deleted` removes a row.
---@param name string
---@param key string|string[]|fun(event: swlua.Event): any
---@param options { tombstone: (fun(event: swlua.Event): any), ttl: swlua.Duration? }?
---@return swlua.Table
function Stream:table(name, key, options) end

---@param name string
---@param right swlua.Stream|swlua.Table
---@param spec swlua.JoinOptions
---@return swlua.Stream
function Stream:join(name, right, spec) end

---@param name string
---@param sink swlua.Connector|swlua.Sink
---@param options swlua.ComponentOptions?
function Stream:to(name, sink, options) end

---@param label string?
function Stream:print(label) end

-- Windows -------------------------------------------------------------------------------------------------------

---@class swlua.Window

---@class swlua.Aggregator

---@class swlua.WindowOptions
---@field lateness swlua.Duration? so long behind a window's end a late event still counts
---@field every swlua.Duration|integer|nil early rows
---@field processing_time boolean? by the engine's clock

---@class swlua.FoldOptions: swlua.OperatorOptions
---@field merge? fun(a: any, b: any): any makes one accumulator of two

---@class swlua.Windowed a stream seen through windows
local Windowed = {}

---@param name string
---@param fields table<string, swlua.Aggregator>
---@param options swlua.OperatorOptions?
---@return swlua.Stream
function Windowed:aggregate(name, fields, options) end

---@param name string
---@param fn fun(a: swlua.Event, b: swlua.Event): swlua.Event
---@param options swlua.OperatorOptions?
---@return swlua.Stream
function Windowed:reduce(name, fn, options) end

---@param name string
---@param init fun(): any
---@param fn fun(acc: any, event: swlua.Event): any
---@param row (fun(acc: any, window: table): swlua.Event?)?
---@param options swlua.FoldOptions?
---@return swlua.Stream
function Windowed:fold(name, init, fn, row, options) end

---@param name string
---@param fn fun(window: table, events: swlua.Event[], out: swlua.Collector)
---@param options swlua.OperatorOptions?
---@return swlua.Stream
function Windowed:process(name, fn, options) end

-- The module ----------------------------------------------------------------------------------------------------

---@class swlua
---@field args table<string, string|number> what --set gave
---@field null userdata a null inside an array
local sw = {}

--- A new job.
---
---     local job = sw.job("fraud", { parallelism = 2 })
---@param name string
---@param options swlua.JobOptions?
---@return swlua.Job
function sw.job(name, options) end

--- Fan-in: one stream of all.
---@param ... swlua.Stream
---@return swlua.Stream
function sw.union(...) end

--- A schema of records.
---
---     sw.record{ card = "string", amount = "f64", ts = "time" }
---@param definition table<string, swlua.FieldType>|[string, swlua.FieldType][]
---@return swlua.Schema
function sw.record(definition) end

---@param options { header: boolean|string[]?, separator: string?, types: table<string, swlua.FieldType>? }?
---@return swlua.Csv
function sw.csv(options) end

--- Windows that follow on each other.
---
---     sw.tumbling("10s")    sw.tumbling("1d", "-1h")    sw.tumbling(100)
---@param length swlua.Duration|integer
---@param offset swlua.Duration|swlua.WindowOptions|nil
---@param options swlua.WindowOptions?
---@return swlua.Window
function sw.tumbling(length, offset, options) end

--- Windows that overlap: of a length, one every slide.
---
---     sw.sliding("1m", "10s")    sw.sliding(100, 10)
---@param length swlua.Duration|integer
---@param slide swlua.Duration|integer
---@param options swlua.WindowOptions?
---@return swlua.Window
function sw.sliding(length, slide, options) end

--- Windows that end when nothing came for longer than a gap.
---
---     sw.session("30s", { lateness = "5s" })
---@param gap swlua.Duration
---@param options swlua.WindowOptions?
---@return swlua.Window
function sw.session(gap, options) end

--- One window of everything: fires by `every`, and when the input ends.
---@param options { every: swlua.Duration|integer|nil, processing_time: boolean? }?
---@return swlua.Window
function sw.unbounded(options) end

--- How many events; with a field, those where it is neither nil nor false.
---@param field? string|fun(event: swlua.Event): any
---@return swlua.Aggregator
function sw.count(field) end

--- Sum of numbers; 0 of none. Of integers it is exact up to 2^63, and an error beyond.
---@param field string|fun(event: swlua.Event): any
---@return swlua.Aggregator
function sw.sum(field) end

--- Mean of numbers; nil of none.
---@param field string|fun(event: swlua.Event): any
---@return swlua.Aggregator
function sw.mean(field) end

--- The least value, of numbers or of strings.
---@param field string|fun(event: swlua.Event): any
---@return swlua.Aggregator
function sw.min(field) end

--- The greatest value, of numbers or of strings.
---@param field string|fun(event: swlua.Event): any
---@return swlua.Aggregator
function sw.max(field) end

--- The value of the event with the earliest time, or that event.
---@param field? string|fun(event: swlua.Event): any
---@return swlua.Aggregator
function sw.first(field) end

--- The value of the event with the latest time, or that event.
---@param field? string|fun(event: swlua.Event): any
---@return swlua.Aggregator
function sw.last(field) end

--- The event whose field is least; of several, the earliest.
---@param field string|fun(event: swlua.Event): any
---@return swlua.Aggregator
function sw.min_by(field) end

--- The event whose field is greatest; of several, the earliest.
---@param field string|fun(event: swlua.Event): any
---@return swlua.Aggregator
function sw.max_by(field) end

--- All values, or events, in order of time.
---@param field? string|fun(event: swlua.Event): any
---@return swlua.Aggregator
function sw.collect(field) end

--- How many different values, exactly.
---@param field string|fun(event: swlua.Event): any
---@return swlua.Aggregator
function sw.distinct(field) end

--- About how many different values: HyperLogLog, standard error 1.63 %.
---@param field string|fun(event: swlua.Event): any
---@return swlua.Aggregator
function sw.approx_distinct(field) end

--- The value at rank ceil(q * n): exact of up to 256 values, of more within 1 % (DDSketch).
---
---     sw.quantile("ms", 0.99)
---@param field string|fun(event: swlua.Event): number?
---@param q number 0 .. 1
---@return swlua.Aggregator
function sw.quantile(field, q) end

--- A table that is an array, also when it is empty.
---@param items any[]?
---@return any[]
function sw.array(items) end

--- A copy of an event that may be kept.
---@generic T
---@param event T
---@return T
function sw.copy(event) end

--- A table of an event, of its own.
---@param event swlua.Event
---@return table
function sw.table(event) end

--- Text of a value: 64-bit integers as digits, tables as JSON with sorted keys.
---@param value any
---@return string
function sw.str(value) end

--- Iterates in a defined order: 1..#t, then other numbers, then strings bytewise.
---@param t swlua.Event
---@return fun(): any, any
function sw.pairs(t) end

--- A line on standard error, with component and instance.
---@param text any
---@param fields table<string, any>?
function sw.log(text, fields) end

--- A job under test: sources and sinks replaced, virtual clock, seeded.
---@param job string|swlua.Job|fun(): swlua.Job
---@param options table?
---@return swlua.Test
function sw.test(job, options) end

---@class swlua.Test
local Test = {}

---@param source string
---@param event swlua.Event
function Test:push(source, event) end

---@param duration swlua.Duration
function Test:advance(duration) end

---@param time swlua.Duration|integer
function Test:advance_watermark(time) end

---@param sink string
---@return table[]
function Test:results(sink) end

---@param component string
---@param key any
---@return table?
function Test:state(component, key) end

sw.from = {}

---@param path string a glob is taken too
---@param options { format: swlua.Format?, start: "earliest"|"latest"?, max_line: swlua.Size? }?
---@return swlua.Connector
function sw.from.file(path, options) end

---@param options { format: swlua.Format?, max_line: swlua.Size? }?
---@return swlua.Connector
function sw.from.stdin(options) end

---@param name string
---@param options { start: "earliest"|"latest"|integer|nil, follow: boolean? }?
---@return swlua.Connector
function sw.from.log(name, options) end

---@param fn fun(i: integer, instance: swlua.Instance): swlua.Event?, integer?
---@param options { count: integer?, rate: number? }?
---@return swlua.Connector
function sw.from.generator(fn, options) end

sw.to = {}

---@param name string
---@return swlua.Connector
function sw.to.log(name) end

---@param path string with "{instance}": one file an instance
---@param options { format: swlua.Format?, mode: "replace"|"append"|nil }?
---@return swlua.Connector
function sw.to.file(path, options) end

---@param options { format: swlua.Format? }?
---@return swlua.Connector
function sw.to.stdout(options) end

--- A table on disk, upserted by key.
---@param path string
---@param options { key: string|string[] }
---@return swlua.Connector
function sw.to.store(path, options) end

---@return swlua.Connector
function sw.to.null() end

sw.time = {}

--- Epoch milliseconds of an ISO 8601 text; nil for a text that is none.
---@param text string
---@return integer?
function sw.time.iso(text) end

--- Epoch milliseconds of epoch seconds.
---@param seconds number
---@return integer?
function sw.time.seconds(seconds) end

--- ISO 8601 text of epoch milliseconds, in UTC.
---@param ms integer
---@return string
function sw.time.format(ms) end

return sw
