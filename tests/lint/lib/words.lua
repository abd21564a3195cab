local words = { subject = "Hello" }

function words.greet(customer)
  return customer.name .. wait("2 days")
end

return words

--! 4: error: wait: unknown unit " days" in duration "2 days"; write s, m, h, d or w
