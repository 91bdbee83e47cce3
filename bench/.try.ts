const { cycle } = await import('/work/main/bench/rows/cycle.ts')
const r = await cycle.run({ quick: true, against: undefined, progress: () => {} })
for (const t of r.tables) { console.log(t.title); console.table(t.rows.map((x:any) => Object.fromEntries(t.head.map((h:any,i:any)=>[h+(i>5?i:''),x[i]])))) }
console.log(r.figures, r.notes)
