-- wrk script: posts the bodies of a file of lines in turn, with a key.
-- Arguments after "--": BODIES_FILE KEY|- [PAUSE_MS], the pause of a connection
-- before each of its requests.
local bodies, next_body = {}, 0

function init(args)
  for line in io.lines(args[1]) do
    bodies[#bodies + 1] = line
  end
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  if args[2] and args[2] ~= "-" then
    wrk.headers["X-API-Key"] = args[2]
  end
  if args[3] then
    local pause = tonumber(args[3])
    delay = function() return pause end
  end
end

function request()
  next_body = next_body % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[next_body])
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    "RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
