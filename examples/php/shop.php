<?php
// The half of the shop that is still PHP: an ordinary script that knows nothing of Node. PHP's own server runs it.
// How sessions are kept is php.ini's affair; the example gives it on the command line (main.ts).
header('Content-Type: application/json');

if (!session_start()) {
    // The session is locked, and stays so for longer than PHP waits. (By default PHP would go on without one.)
    http_response_code(503);
    exit('{"error":"the session is busy"}');
}

[, , $what, $which] = explode('/', $_SERVER['REQUEST_URI']) + ['', '', '', ''];

switch ($what) {
    case 'login':
        session_regenerate_id(true);
        $_SESSION['user'] = $which;
        break;
    case 'add':
        $items = $_SESSION['items'] ?? [];
        // A database is asked for the price.
        usleep(3000);
        $items[$which] = ($items[$which] ?? 0) + 1;
        $_SESSION['items'] = $items;
        break;
    case 'logout':
        $_SESSION = [];
        session_destroy();
        break;
}

echo json_encode(['by' => 'php', 'user' => $_SESSION['user'] ?? null, 'items' => (object) ($_SESSION['items'] ?? [])]);
