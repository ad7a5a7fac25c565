--- The edges of a job, numbered the same way in every Lua state, and the job told to the engine.
local core = require("swlua.core")

local M = {}

--- Does this output carry what the component makes? Others carry events as they came, or letters about them.
function M.has_rows(component, output)
  if output == "late" then return not (component.operator and component.operator.windowed) end
  return output ~= "dead_letters" and output ~= "malformed"
end

--- Components that an event of component `index` can reach, itself included.
local function downstream(job, index)
  local reached = { [index] = true }
  for _, component in ipairs(job.components) do -- In order of creation, which is topological.
    for _, input in ipairs(component.inputs or {}) do
      if reached[input.from] then reached[component.index] = true end
    end
  end
  return reached
end

local function add(edges, component, input, from, detached)
  edges[#edges + 1] = {
    from = from - 1, to = component.index - 1, output = input.output, grouping = input.grouping.kind,
    fields = input.grouping.fields, fn = input.grouping.fn, detached = detached,
    stream = detached and "dead_letters" or input.stream, component = component,
  }
end

--- An input from dead_letters() (from = 0) is one edge from each component that is not behind it.
local function add_dead_letters(edges, job, component, input)
  local behind = downstream(job, component.index)
  for _, from in ipairs(job.components) do
    if not behind[from.index] then add(edges, component, input, from.index, true) end
  end
end

--- All edges; edge i of the engine is edges[i + 1].
function M.edges(job)
  local edges = {}
  for _, component in ipairs(job.components) do
    for _, input in ipairs(component.inputs or {}) do
      if input.from == 0 then
        add_dead_letters(edges, job, component, input)
      else
        add(edges, component, input, input.from)
      end
    end
  end
  return edges
end

--- Tells the engine's graph (light userdata) of the job.
function M.declare(job, graph)
  for _, component in ipairs(job.components) do
    core.graph_component(graph, {
      name = component.name, kind = component.kind, single = component.single,
      parallelism = component.options.parallelism, queue = component.options.queue,
    })
  end
  for _, edge in ipairs(M.edges(job)) do core.graph_edge(graph, edge) end
end

return M
