-- Where waits may stand, and corners of the other calls.

rule "odd-loops" {
  about = "A wait inside of loops over tables, lists and patterns, and below functions",
  on    = "odd.loops",
  run = function(event)
    for k, v in pairs { b = 1, a = 2, c = 3 } do wait "1m"; note(k .. v) end
    for i, word in ipairs(event.list) do wait "1m"; note(i .. word) end
    for letter in ("x y"):gmatch "%a" do wait "1m"; note(letter) end
    local function deep(n)
      if n == 0 then wait "1m"; return 0 end
      return 1 + deep(n - 1)
    end
    note("deep " .. deep(50))
    local n = 0
    local function more() n = n + 1 end
    more(); wait "1m"; more()
    note("n " .. n)
  end,
}

rule "odd-sort" {
  about = "Not inside of functions that are called back",
  on    = "odd.sort",
  run = function(event)
    table.sort({ 3, 1, 2 }, function(a, b)
      if event.asks then count "odd.sort" else wait "1m" end
      return a < b
    end)
  end,
}

rule "odd-expired" {
  about = "A message that expires before it goes out",
  on    = "odd.expired",
  class = "transactional",
  run = function()
    local m = email { template = "plain", at = "1h", expires = "0s" }
    note(wait("1d", m.clicked) and "clicked" or "nil at " .. now():format "%H:%M")
    note(wait(m).outcome .. " " .. wait("1h", m.failed).code)
    note(wait(email { template = "plain", expires = "0s" }).outcome)
  end,
}

rule "odd-mixed" {
  about = "A message or an event: time runs from the hand-over, the event counts from the call on",
  on    = "odd.mixed",
  class = "transactional",
  run = function()
    local m = email { template = "plain", at = "1h" }
    local e = wait("2h", { m.clicked, "odd.other" })
    note(e and e.meta.type or "nil at " .. now():format "%H:%M")
  end,
}

rule "odd-expires" {
  about = "That a message expires is told by its end or by its courier, whoever is first",
  on    = "odd.expires",
  class = "transactional",
  run = function()
    local function late() return email { template = "plain", at = "1h", expires = "0s" } end
    note(wait("1d", late().failed).code)
    local e = wait("2h", { late().clicked, "odd.other" })
    note(e and e.meta.type or "nil at " .. now():format "%H:%M")
    note(wait(late().failed).outcome)
    e = wait("2h", { email { template = "plain", expires = "0s" }.clicked, "odd.other" })
    note(e and e.meta.type or "nil at " .. now():format "%H:%M")
  end,
}

rule "odd-taken" {
  on  = "odd.taken",
  run = function()
    local k = task { title = "Take it", deadline = "1h" }
    local e = wait("30m", k.taken)
    note(e and "taken by " .. e.manager or "nobody")
    note(wait(k).outcome)
  end,
}

rule "odd-error" {
  about = "A restart that fails leaves the old chain alone",
  on    = "odd.error",
  mode  = "restart",
  run = function(event)
    if event.bad then error "bad" end
    wait "1h"
    note "survived"
  end,
}

rule "odd-queue" {
  on       = "odd.queue",
  mode     = "queued",
  cooldown = "30m",
  run = function(event)
    wait "1h"
    note("queue " .. event.n)
  end,
}

rule "odd-question" {
  about = "What another chain emits in answer wakes it",
  on    = "odd.question",
  run = function()
    emit("odd.asked", { n = 1 })
    local e = wait("1h", "odd.answer")
    note(e and "answer " .. e.n or "no answer")
  end,
}

rule "odd-answer" {
  on  = "odd.asked",
  run = function(event) emit("odd.answer", { n = event.n + 1 }) end,
}

rule "odd-parcel" {
  on  = "odd.parcel",
  run = function()
    local e = wait("1d", "parcel.moved")
    note(e and e.place or "nothing")
  end,
}

rule "odd-zone" {
  about = "The zone of the customer counts from the moment when it is set",
  on    = "odd.zone",
  mode  = "parallel",
  run = function(event)
    note(now():format "%H:%M")
    set { tz = event.zone }
    note(now():format "%H:%M")
    wait "1m"
    note(now():format "%H:%M")
  end,
}
