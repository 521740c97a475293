(module $all
  (type $sig (func (param i64) (result i64)))
  (type $two (func (param i32 i64) (result i64 i32)))
  (type (;2;) (func))
  (type (;3;) (func (param i32) (result i32)))
  (import "kernel" "arena" (memory $arena 65536 65536 shared))
  (import "kernel" "memory" (memory $kernel 65536 65536 shared))
  (import "kernel" "helper" (func $helper (type $sig) (param i64) (result i64)))
  (import "kernel" "cpu" (global $cpu i32))
  (import "kernel" "table" (table $imported 4 externref))
  (func $s (type 2)
  )
  (func $g1 (type 3) (param (;0;) i32) (result i32)
    (local (;1;) i64) (local (;2;) i64) (local (;3;) f32)
    local.get 0
  )
  (func $f (type $sig) (param (;0;) i64) (result i64)
    (local $r0 i64) (local $c i32)
    block $block0
      loop $loop1 (result i32)
        local.get $c
        (@metadata.code.branch_hint "\01") br_if $block0
        i32.const 1
        if $if2 (result i32)
          i32.const 2
        else
          i32.const -3
        end
      end
      drop
      i32.const 7
      br_table $block0 $block0 $block0
    end
    i32.const 0
    i64.const 0
    block $block3 (type $two) (param i32 i64) (result i64 i32)
      drop
      drop
      i64.const 1
      i32.const 2
    end
    drop
    drop
    i32.const 5
    i64.load $arena offset=8 align=1
    drop
    i32.const 5
    i64.load32_s $kernel offset=8 align=1
    drop
    i32.const 5
    i64.load $own offset=4294967295
    drop
    i32.const 5
    i64.const 0x8000000000000000
    i64.store16 $kernel
    i32.const 5
    i32.const 6
    i32.const 7
    memory.fill $own
    i32.const 5
    i32.const 6
    i32.const 7
    memory.copy $own $kernel
    i32.const 5
    i32.const 6
    i32.const 7
    memory.init $own $p
    data.drop $p
    i32.const 5
    i32.const 6
    i32.const 7
    table.init $t $passive
    elem.drop $passive
    i32.const 5
    i32.const 6
    i32.const 7
    table.copy $t $t
    i32.const 0
    table.get $t
    drop
    i32.const 0
    ref.null func
    table.set $t
    ref.null extern
    i32.const 1
    table.grow $u
    drop
    table.size $u
    drop
    i32.const 0
    ref.null extern
    i32.const 0
    table.fill $u
    ref.func $f
    ref.is_null
    drop
    memory.size $own
    drop
    i32.const 1
    memory.grow $own
    drop
    i32.const 0
    i64.const 1
    i64.atomic.rmw.add $arena offset=8
    drop
    i32.const 0
    i64.const 1
    i64.const 2
    i64.atomic.rmw32.cmpxchg_u $arena
    drop
    i32.const 0
    i64.atomic.load8_u $arena
    drop
    i32.const 0
    i64.const 1
    i64.atomic.store32 $arena
    i32.const 0
    i32.const 1
    i64.const -1
    memory.atomic.wait32 $arena
    drop
    i32.const 0
    i32.const 1
    memory.atomic.notify $arena
    drop
    atomic.fence
    f64.const 1.5
    i64.trunc_sat_f64_u
    drop
    f32.const nan:0x200000
    f32.const -inf
    f32.add
    drop
    f64.const nan
    f64.const -0
    f64.add
    drop
    f32.const 0.10000000149011612
    drop
    f64.const 1e+300
    drop
    f64.const 5e-324
    drop
    f32.const 3.4028234663852886e+38
    drop
    i64.const 1
    i64.extend8_s
    i64.extend32_s
    drop
    i32.const 1
    i32.extend16_s
    drop
    i32.const 1
    i32.const 2
    i32.const 3
    select
    drop
    f64.const 1
    f64.const 2
    i32.const 3
    select (result f64)
    drop
    i64.const 1
    i32.const 0
    call_indirect $t (type $sig)
    drop
    global.get $g
    global.set $g
    i64.const 0x10000
    drop
    i32.const 0xffff0000
    drop
    i32.const -4096
    drop
    local.get 0
    call $helper
    local.tee $r0
    local.get $c
    if $if4
      local.get $r0
      return
    end
    local.get $c
    if $if5
      local.get $r0
      return_call $helper
    end
    local.get $r0
    i32.const 0
    return_call_indirect $t (type $sig)
  )
  (table $t 4 10 funcref)
  (table $u 4 externref)
  (memory $own 1)
  (global $g (mut i64) (i64.const -5))
  (global $h f64 (f64.const 12))
  (global $r funcref (ref.func $f))
  (export "f" (func $f))
  (export "mem" (memory $own))
  (export "g" (global $g))
  (export "t" (table $t))
  (start $s)
  (elem (;0;) (table $t) (offset (i32.const 0)) func $f $helper)
  (elem $passive func $f)
  (elem (;2;) declare func $g1)
  (elem $ex funcref (item (ref.func $f)) (item (ref.null func)))
  (elem (;4;) (table $t) (offset (i32.const 1)) funcref (item (ref.null func)))
  (data (;0;) (offset (i32.const 8)) "hello \22w\5corld\22\00\ff")
  (data $p "passive")
)
