-- wrk's side of the lane of whole answers: exactly COUNT of them, each compared byte by byte (stamps aside) with WANT.
local count = tonumber(os.getenv("COUNT"))
local body = io.open(os.getenv("BODY")):read("a")
local want = os.getenv("WANT") and io.open(os.getenv("WANT")):read("a")
total, bad, refused = 0, 0, 0 -- global: done() reads them out of the thread
local begun = 0
local threads = {}

function setup(thread) table.insert(threads, thread) end

function init()
  wrk.method, wrk.body = "POST", body
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer sk-bench"
  first = wrk.format()
end

-- asked before each request: those beyond the count wait for ever
function delay()
  begun = begun + 1
  return begun > count and 100000000 or 0
end

function request() return first end

function response(status, headers, text)
  total = total + 1
  if status ~= 200 then refused = refused + 1
  elseif want and text:gsub("@%d+#", "@#") ~= want then bad = bad + 1 end
  if total == count then
    wrk.thread:stop()
    io.stderr:write("ENDED\n") -- wrk itself sleeps until its time is over, or until it is interrupted
    io.stderr:flush()
  end
end

function done(summary, latency, requests)
  local e = summary.errors
  local ended, wrong, failed = 0, 0, 0
  for _, thread in ipairs(threads) do
    ended, wrong, failed = ended + thread:get("total"), wrong + thread:get("bad"), failed + thread:get("refused")
  end
  io.write(string.format('\nJSON {"answers":%d,"failed":%d,"torn":%d,"wrong":%d,"unfinished":%d,"seconds":%.6f,',
    ended - failed, failed, e.connect + e.read + e.write + e.timeout, wrong, count - ended, summary.duration / 1e6))
  io.write(string.format('"whole":{"count":%d,"p50":%d,"p90":%d,"p99":%d,"p999":%d,"max":%d}}\n', summary.requests,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency:percentile(99.9), latency.max))
end
