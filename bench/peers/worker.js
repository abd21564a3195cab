// worker.js JOBS CONCURRENCY: graphile-worker: adds the jobs, then runs them; each is the work of one event.
const { Pool } = require('pg');
const { run, makeWorkerUtils } = require('graphile-worker');
const { handle } = require('./work.js');
const [jobs, concurrency] = [+process.argv[2], +process.argv[3]];

async function main() {
  const pgPool = new Pool({ max: concurrency + 10 });
  const utils = await makeWorkerUtils({ pgPool });
  await utils.migrate();
  await pgPool.query(`select count(graphile_worker.add_job('event', json_build_object('id', 'job-' || $2 || '-' || n,
    'source', 'worker', 'type', (array['order.placed', 'cart.updated', 'product.viewed'])[1 + n % 3], 'data',
    json_build_object('customer', json_build_object('id', 'c' || (random() * 99999)::int), 'lot', n * 7 % 100,
    'order_id', 'job-' || $2 || '-' || n, 'total', 100.5, 'currency', 'EUR', 'products', '[]'::json, 'note',
    repeat('x', 250)))))
    from generate_series(1, $1::int) n`, [jobs, Date.now().toString(36)]);
  let done = 0, begun = process.hrtime.bigint();
  const runner = await run({ pgPool, concurrency, noHandleSignals: true, localQueue: { size: 500 },
    logger: new (require('graphile-worker').Logger)(() => () => {}),
    taskList: {
      event: async (payload, helpers) => {
        await helpers.withPgClient((client) => handle(client, payload));
        if (++done === jobs) {
          const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
          console.log(`events=${jobs} seconds=${seconds.toFixed(2)} rate=${(jobs / seconds).toFixed(0)}`);
          setTimeout(() => process.exit(0), 100);
        }
      },
    } });
  await runner.promise;
}
main().catch((error) => { console.error(error); process.exit(1); });
