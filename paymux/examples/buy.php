<?php
// A payment in PHP, without a package: `paymux simulator -- php paymux/examples/buy.php`.
function ask(string $url, ?array $body = null, array $headers = []): array {
    $http = ['header' => ['Content-Type: application/json', ...$headers]];
    if ($body !== null) {
        $http += ['method' => 'POST', 'content' => json_encode($body)];
    }
    $answer = file_get_contents($url, false, stream_context_create(['http' => $http]));
    return $answer === false ? exit(1) : json_decode($answer, true, flags: JSON_THROW_ON_ERROR);
}

$campay = getenv('PAYMUX_CAMPAY__BASE_URL');
$simulator = getenv('PAYMUX_SIMULATOR') . '/_paymux';

// As your program does it with the real provider: only the address differs.
$login = ['username' => getenv('PAYMUX_CAMPAY__USERNAME'), 'password' => getenv('PAYMUX_CAMPAY__PASSWORD')];
$signed = ['Authorization: Token ' . ask("$campay/token/", $login)['token']];
$order = ['amount' => '500', 'currency' => 'XAF', 'from' => '237677000003',
    'description' => 'Coffee', 'external_reference' => 'order-9'];
$reference = ask("$campay/collect/", $order, $signed)['reference'];

// As the payer does it on the phone.
$id = ask("$simulator/wait?reference=order-9")['id'];
ask("$simulator/payments/$id/answer", ['answer' => 'approve', 'pin' => '0000']);

$found = ask("$campay/transaction/$reference/", null, $signed);
echo "{$found['status']} {$found['amount']} {$found['currency']}\n";
exit($found['status'] === 'SUCCESSFUL' ? 0 : 1);
