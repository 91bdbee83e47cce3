<?php
// Increments `n` of sessions until so many were acknowledged or the time is over. argv: {ids, holdMs, times?, forMs?}
$job = json_decode($argv[1], true);
$counts = [];
$refused = 0;
$left = $job['times'] ?? PHP_INT_MAX;
$end = isset($job['forMs']) ? microtime(true) + $job['forMs'] / 1000 : INF;
while ($left > 0 && microtime(true) < $end) {
    $id = $job['ids'][array_rand($job['ids'])];
    session_id($id);
    if (!@session_start()) {
        $refused++;
        continue;
    }
    $n = $_SESSION['n'] ?? 0;
    if ($job['holdMs'] > 0) usleep($job['holdMs'] * 1000);
    $_SESSION['n'] = $n + 1;
    if (!session_write_close()) {
        $refused++;
        continue;
    }
    $counts[$id] = ($counts[$id] ?? 0) + 1;
    $left--;
}
echo json_encode(['counts' => (object) $counts, 'errors' => (object) ($refused > 0 ? ['refused' => $refused] : [])]);
