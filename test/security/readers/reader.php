<?php
// Says how PHP reads a request's path: what frameworks parse themselves, and what the server hands them.
$uri = $_SERVER['REQUEST_URI'];
$parsed = parse_url($uri, PHP_URL_PATH);
$views = [
    'REQUEST_URI' => explode('?', $uri)[0],
    'decoded' => rawurldecode(explode('?', $uri)[0]),
    'parse_url' => is_string($parsed) ? $parsed : null,
    'parse_url, decoded' => is_string($parsed) ? rawurldecode($parsed) : null,
    'SCRIPT_NAME and PATH_INFO' => $_SERVER['SCRIPT_NAME'] . ($_SERVER['PATH_INFO'] ?? ''),
    'PHP_SELF' => $_SERVER['PHP_SELF'],
];
header('Content-Type: application/json');
echo json_encode(array_filter($views, 'is_string'), JSON_INVALID_UTF8_SUBSTITUTE);
