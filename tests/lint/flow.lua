-- Lines never reached, acting in when, exits without the key, loops.

local function remind()
  note "reminded"
end

rule "deciding" {
  on   = "page.viewed",
  when = function(page)
    note "seen"
    remind()
    return page.url ~= nil
  end,
  run = function() remind() end,
}

rule "unreached" {
  on  = "page.viewed",
  run = function(page)
    do return end
    note "never"
  end,
}

rule "unreached-too" {
  on  = "page.viewed",
  run = function(page)
    if page.url then
      error "no"
    elseif page.name then
      return
    else
      while true do wait "1d" end
    end
    note "never"
  end,
}

rule "reached" {
  on  = "page.viewed",
  run = function(page)
    if page.url then return elseif page.name then return end
    while true do
      wait "1d"
      if count "order.placed" > 0 then break end
    end
    for i = 1, 3 do
      if i == 2 then goto continue end
      note "each"
      ::continue::
    end
    note "reached"
  end,
}

rule "keys" {
  on      = { "order.placed", "cart.updated" },
  key     = "order_id",
  exit_on = { "order.cancelled", "chat.message", "own.type" },
  run = function() wait "1d" end,
}

rule "again" {
  on  = "round.one",
  run = function()
    wait "1d"
    emit "round.two"
  end,
}

rule "and-again" {
  on  = { "round.two", "round.three" },
  run = function()
    wait "1d"
    emit("round.one", { again = true })
  end,
}

rule "mails" {
  on    = "message.*",
  class = "transactional",
  run = function() email { template = "plain" } end,
}

rule "filtered" {
  on  = on("round.own", { first = true }),
  run = function() emit("round.own") end,
}

rule "computed" {
  on      = "order.placed",
  key     = function(order) return "o" .. order.order_id end,
  exit_on = "order.cancelled",
  run = function() wait "1d" end,
}

--! 10: error: note can not be called in `when`, which only decides: move it to `run`
--! 11: error: `when` calls remind, which calls note (line 4); `when` only decides: move it to `run`
--! 21: warning: this is never reached: what begins in line 20 does not go on
--! 35: warning: this is never reached: what begins in line 28 does not go on
--! 57: warning: "cart.updated" has no field "order_id" in the vocabulary, the key of rule "keys": without it nothing is started
--! 59: warning: exit_on "chat.message" has no field "order_id" in the vocabulary, the key of rule "keys": it ends all of the customer's chains
--! 67: warning: rule "again" emits "round.two", which starts rule "and-again", which emits "round.one", which starts rule "again" again: a loop
--! 82: warning: rule "mails" leads to "message.sent", which starts it again: a loop
--! 93: warning: the key of rule "computed" is a function, which only the event that starts it is asked: exit_on ends all of the customer's chains; name a field as the key
