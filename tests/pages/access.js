// access.js - logging in, a session that ends in the middle, a viewer who changes nothing; the server away
// SPDX-License-Identifier: Apache-2.0
module.exports = async (t, { restart }) => {
  await restart(true);
  const page = await t.page();
  const login = async (name, password) => {
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Log in' }).click();
  };
  const state = { measures: [{ event: 'Product Viewed', measure: 'total' }] };
  await t.goto(page, '/segmentation', state);
  await page.getByRole('dialog').waitFor();
  await t.axe(page, 'the log-in');
  await t.shot(page, 'login-light');
  await login('vera', 'wrong password');
  await page.getByRole('alert').waitFor();
  t.ok(/wrong/.test(await page.getByRole('alert').innerText()), 'a wrong password says so');
  await login('vera', 'battery staple');
  await page.locator('main svg circle').first().waitFor();
  t.ok(page.url().includes('Product%20Viewed') || t.state(page).measures[0].event === 'Product Viewed', 'after the log-in: the page that was wanted');
  t.is(await page.getByRole('button', { name: /^(Save|Rename|Delete)/ }).count(), 0, 'a viewer has no buttons that change something');
  await t.goto(page, '/');
  await page.locator('.grid .card').first().waitFor();
  t.is(await page.getByRole('button', { name: /off Home|Move/ }).count(), 0, 'nor on Home');
  await t.goto(page, '/segmentation', state);
  await page.locator('main svg circle').first().waitFor();

  // The server restarts: all sessions are over. The next question shows the log-in, over the page.
  await restart(true);
  await page.getByLabel('Measure A').selectOption('unique');
  await page.getByRole('dialog').waitFor();
  const address = page.url();
  t.is(t.state(page).measures[0].measure, 'unique', 'a session that ended: the log-in, with the page kept');
  await login('edna', 'correct horse');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.locator('main svg circle').first().waitFor();
  await page.waitForFunction(() => /Updated/.test(document.querySelector('main').innerText));
  t.is(page.url(), address, 'and back at the same address');
  t.ok(await page.getByRole('button', { name: 'Save' }).count() === 1, 'an editor may save');
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('dialog').waitFor();
  t.is(await page.locator('main').count(), 0, 'after a log-out nothing is left on the screen');

  await restart(false);
  await t.goto(page, '/segmentation', state);
  await page.locator('main svg circle').first().waitFor();
  await page.route('**/api/v1/query/**', (route) => route.fulfill({ status: 503, contentType: 'application/json',
    body: '{"error":{"code":"aggregate_away","at":"","message":"aggregate does not answer"}}' }));
  await page.getByLabel('Measure A').selectOption('sessions');
  await page.getByRole('alert').waitFor();
  t.ok(/aggregate does not answer/.test(await page.getByRole('alert').innerText()), 'an error says what is away');
  await page.unroute('**/api/v1/query/**');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.locator('main svg circle').first().waitFor();
  t.ok(true, 'and another try helps');
  await page.route('**/api/v1/query/trend', async (route) => {
    const answer = await (await route.fetch()).json();
    await route.fulfill({ json: { ...answer, complete_through: new Date(Date.now() - 600000).toISOString() } });
  });
  await page.getByLabel('Measure A').selectOption('total');
  await page.getByText('Newer events are still on their way').waitFor();
  t.ok(true, 'an answer that is behind says so');
  await page.context().close();
};
