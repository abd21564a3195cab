// The work of one event as a careful programmer writes it by hand: one transaction, named (prepared) statements, into
// the very tables of the daemon.  What he leaves out: verdicts, histories of chains, joining of customers, and every
// guard against what can go wrong between two processes.
const statements = {
  event: `insert into nudged.event (received, store, source, id, content_hash, seq, customer, type, time, data)
    values (now(), 'main', $1, $2, md5($5)::uuid, nextval('nudged.batch_no'), $3, $4, now(), $5::json)
    on conflict do nothing returning seq`,
  card: `select c.id, c.orders_count, c.orders_total::float8 from nudged.identity i join nudged.customer c
    on c.id = i.customer where i.value = $1 and i.kind = 1 and i.base = 'main' for no key update of c`,
  order: `insert into nudged.orders (customer, store, id, currency, total, placed_at, updated_at, products)
    values ($1, 'main', $2, $3, $4, now(), now(), $5) on conflict do nothing`,
  identity: `insert into nudged.identity (base, kind, value, customer) values ('main', 5, $1, $2)
    on conflict do nothing`,
  ordered: `update nudged.customer set orders_count = $2, orders_total = $3, orders_last_at = now(),
    orders_last_id = $4, last_seen_at = now(), cart = '{}' where id = $1`,
  cart: `update nudged.customer set cart = $2, last_seen_at = now() where id = $1`,
  chain: `insert into nudged.chain (id, customer, store, rule, text_hash, level, state, started, wake_at, awaits, event)
    values (nextval('nudged.batch_no') << 17, $1, 'main', $2, '', 1, 'waiting', now(), now() + interval '3 days',
    $3, $4) returning id`,
  message: `insert into nudged.message (id, customer, chain, store, rule, channel, class, template, lang, data, address,
    created, due, state) values (nextval('nudged.batch_no') << 17, $1, $2, 'main', $3, 'email', 'transactional',
    'bench', 'en', $4, 'bench@example.com', now(), now(), 'ready')`,
};
const run = (client, name, values) => client.query({ name, text: statements[name], values });

// 30 of 100 start a chain, 20 write a message, as in bench/rules.
exports.handle = async (client, e) => {
  const data = JSON.stringify(e.data);
  await client.query('begin');
  try {
    const card = (await run(client, 'card', [e.data.customer.id])).rows[0];
    const added = await run(client, 'event', [e.source, e.id, card.id, e.type, data]);
    if (added.rowCount) {
      if (e.type === 'order.placed') {
        await run(client, 'identity', ['main/' + e.data.order_id, card.id]);
        await run(client, 'order', [card.id, e.data.order_id, e.data.currency, e.data.total,
          JSON.stringify(e.data.products)]);
        await run(client, 'ordered', [card.id, +card.orders_count + 1, card.orders_total + e.data.total,
          e.data.order_id]);
      } else if (e.type === 'cart.updated') {
        await run(client, 'cart', [card.id, data]);
      }
      if (e.data.lot < 30) {
        const chain = await run(client, 'chain', [card.id, 'rule', ['order.cancelled'], data]);
        if (e.data.lot < 20)
          await run(client, 'message', [card.id, chain.rows[0].id, 'rule', data]);
      }
    }
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
};
exports.statements = statements;
