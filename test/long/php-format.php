<?php
// Reads "handler base64" lines; says of each what session_start() makes of the bytes: "no", or what session_encode() gives.
class Given implements SessionHandlerInterface {
    public string $data = '';
    public function open($path, $name): bool { return true; }
    public function close(): bool { return true; }
    public function read($id): string { return $this->data; }
    public function write($id, $data): bool { return true; }
    public function destroy($id): bool { return true; }
    public function gc($seconds): int|false { return 0; }
}
error_reporting(0);
$given = new Given();
session_set_save_handler($given, false);
while (($line = fgets(STDIN)) !== false) {
    [$handler, $data] = explode(' ', rtrim($line, "\n")) + [1 => ''];
    $given->data = base64_decode($data);
    $_SESSION = [];
    $answer = 'no';
    try {
        if (@session_start(['serialize_handler' => $handler, 'use_cookies' => 0, 'cache_limiter' => '']) && session_id() !== '') {
            $answer = is_array($_SESSION) ? base64_encode((string) session_encode()) : 'no';
        }
    } catch (Throwable $error) {
        $answer = 'no';
    }
    if (session_status() === PHP_SESSION_ACTIVE) session_abort();
    session_id('');
    fwrite(STDOUT, "$answer\n");
}
