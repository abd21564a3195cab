local words = require "words"

rule "deeper" {
  on    = "folder.begin",
  class = "bulk",
  run = function(event)
    wait "1h"
    email { template = "second", with = { word = words.pieces(event.n) } }
  end,
}
