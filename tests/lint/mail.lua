-- Marketing needs a way out; languages of the stores.

local words = require "words"

rule "marketing" {
  on  = "cart.updated",
  run = function(cart)
    email { template = "plain" }
    email { template = "offer" }
    email { template = "plain", class = "transactional" }
    email { template = "plain", to = "maria" }
    email { template = "offer", class = "bulk", subject = words.subject }
    email { template = "french" }
  end,
}

rule "of-second" {
  on    = "cart.updated",
  store = "second",
  run = function(cart) email { template = "offer" } end,
}

--! 8: warning: email: template "plain" (en) of class marketing has no link to unsubscribe; put {{ unsubscribe_url }} into it
--! 13: warning: email: template "french" (es) of class marketing has no link to unsubscribe; put {{ unsubscribe_url }} into it
--! 13: warning: email: template "french" is not there in "en", the language of store "shop"
--! 13: warning: email: template "french" is not there in "de-AT", the language of store "second"
