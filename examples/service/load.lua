-- load.lua - for wrk: visitors who click items of a file, about RATE requests a second over all connections.
-- Each visitor makes six clicks on average. RATE=0: as fast as it goes.
local rate, connections = tonumber(os.getenv("RATE")), tonumber(os.getenv("CONNECTIONS"))
local items, visitors = {}, {}

function setup(thread)
    thread:set("seed", math.random(1, 1000000000))
end

function init()
    math.randomseed(seed)
    for line in io.lines(os.getenv("ITEMS")) do items[#items + 1] = line end
    for i = 1, 2000 do visitors[i] = "v" .. math.random(1, 1000000000) end
end

-- Waits so long between requests that all connections together make RATE of them.
function delay()
    if rate == 0 then return 0 end
    return math.floor(-math.log(1 - math.random()) * connections * 1000 / rate)
end

function request()
    local at = math.random(1, #visitors)
    if math.random(1, 6) == 1 then visitors[at] = "v" .. math.random(1, 1000000000) end
    local body = string.format('{"visitor": "%s", "click": "%s", "k": 20}', visitors[at],
        items[math.random(1, #items)])
    return wrk.format("POST", "/recommend", nil, body)
end

function done(summary, latency)
    local failed = 0
    for _, count in pairs(summary.errors) do failed = failed + count end
    io.write(string.format("%.0f requests/s  p50 %.2f  p90 %.2f  p99 %.2f  most %.1f ms  %d failed\n",
        summary.requests * 1e6 / summary.duration, latency:percentile(50) / 1000,
        latency:percentile(90) / 1000, latency:percentile(99) / 1000, latency.max / 1000, failed))
end
