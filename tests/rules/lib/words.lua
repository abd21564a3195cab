local numbers = require "numbers"
local words = {}

function words.pieces(n)
  return numbers.name(n) .. (n == 1 and " piece" or " pieces")
end

return words
