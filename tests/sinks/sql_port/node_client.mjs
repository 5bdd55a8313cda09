// The npm package @clickhouse/client against an open port: node node_client.mjs URL TOKEN. Run by with_node.py.
import assert from 'node:assert/strict'
import { ClickHouseLogLevel, createClient } from '@clickhouse/client'

const [url, password] = process.argv.slice(2)
const common = { url, database: 'viworks', log: { level: ClickHouseLogLevel.OFF } }
const client = createClient({ ...common, username: 'analyst', password, compression: { response: true } })

const steps = {
  'it is alive': async () => {
    assert.equal((await client.ping()).success, true)
    assert.equal((await client.ping({ select: true })).success, true)
  },
  'rows as objects': async () => {
    const result = await client.query({ query: 'SELECT number AS n, toString(number) AS s FROM numbers(3)', format: 'JSONEachRow' })
    assert.deepEqual((await result.json()).map(({ n, s }) => [Number(n), s]), [[0, '0'], [1, '1'], [2, '2']])
  },
  'a whole document with its meta data': async () => {
    const result = await client.query({ query: 'SELECT 1 AS x', format: 'JSON' })
    const { data, meta, rows } = await result.json()
    assert.deepEqual([data, meta, rows], [[{ x: 1 }], [{ name: 'x', type: 'UInt8' }], 1])
  },
  'parameters': async () => {
    const query_params = { text: "it's \\ a\ttab", list: [1, 2], day: new Date('2026-01-02T03:04:05Z'), map: { a: 'b' } }
    const query = 'SELECT {text:String} AS text, {list:Array(UInt8)} AS list, {day:DateTime} AS day, {map:Map(String,String)} AS map'
    const [row] = await (await client.query({ query, query_params, format: 'JSONEachRow' })).json()
    assert.deepEqual([row.text, row.list, row.map], [query_params.text, [1, 2], { a: 'b' }])
  },
  'a million rows as a stream': async () => {
    const result = await client.query({ query: 'SELECT number FROM numbers(1000000)', format: 'CSV' })
    let count = 0
    for await (const rows of result.stream()) count += rows.length
    assert.equal(count, 1000000)
  },
  'progress': async () => {
    const query = 'SELECT count() AS n FROM numbers(500000000) WHERE NOT ignore(number)'
    const result = await client.query({ query, format: 'JSONEachRowWithProgress' })
    let progress = 0, found
    for await (const rows of result.stream()) {
      for (const row of rows) {
        const parsed = row.json()
        if (parsed.progress) progress += 1
        if (parsed.row) found = Number(parsed.row.n)
      }
    }
    assert.equal(found, 500000000)
    assert.ok(progress > 0)
  },
  'binary formats': async () => {
    const result = await client.exec({ query: 'SELECT number FROM numbers(10) FORMAT Parquet' })
    const pieces = []
    for await (const piece of result.stream) pieces.push(piece)
    assert.equal(Buffer.concat(pieces).subarray(0, 4).toString(), 'PAR1')
  },
  'the summary': async () => {
    const result = await client.exec({ query: 'SELECT number FROM numbers(10) FORMAT CSV', query_id: 'from-node' })
    assert.equal(result.query_id, 'from-node')
    assert.equal(result.summary.read_rows, '10')
    for await (const _ of result.stream) { /* to its end */ }
  },
  'settings': async () => {
    const clickhouse_settings = { output_format_json_quote_64bit_integers: 1, max_execution_time: 5 }
    const [row] = await (await client.query({ query: 'SELECT toUInt64(1) AS n', format: 'JSONEachRow', clickhouse_settings })).json()
    assert.equal(row.n, '1')
    const lifted = { query: 'SELECT 1', clickhouse_settings: { max_execution_time: 0 } }
    await assert.rejects(client.query(lifted), { code: '164' })
  },
  'refusals with their codes': async () => {
    const insert = client.insert({ table: 'events', values: [{ client_id: 'x' }], format: 'JSONEachRow' })
    await assert.rejects(insert, { code: '164', type: 'READONLY' })
    await assert.rejects(client.command({ query: 'DROP TABLE events' }), { code: '164', type: 'READONLY' })
    await assert.rejects(client.query({ query: 'SELECT * FROM audit' }), { code: '497', type: 'ACCESS_DENIED' })
    await assert.rejects(client.query({ query: 'SELEC 1' }), { code: '62' })
    const stranger = createClient({ ...common, password: 'wrong' })
    await assert.rejects(stranger.query({ query: 'SELECT 1' }), { code: '516' })
    await stranger.close()
  },
  'an abandoned query is ended': async () => {
    const abandoned = new AbortController()
    const query = 'SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(number)'
    const waiting = client.query({ query, query_id: 'abandoned', abort_signal: abandoned.signal })
    setTimeout(() => abandoned.abort(), 500)
    await assert.rejects(waiting)
    const killed = 'KILL QUERY WHERE query_id = \'abandoned\''
    for (let left = 100; left; left -= 1) {
      const rows = await (await client.query({ query: killed, format: 'JSONEachRow' })).json()
      if (!rows.length) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    assert.fail('it still runs')
  },
}

let failed = 0
for (const [name, step] of Object.entries(steps)) {
  try {
    await step()
    console.log(`ok      ${name}`)
  } catch (error) {
    failed += 1
    console.log(`FAILED  ${name}: ${error.stack}`)
  }
}
await client.close()
console.log(`${Object.keys(steps).length - failed} passed, ${failed} failed`)
process.exitCode = failed ? 1 : 0
