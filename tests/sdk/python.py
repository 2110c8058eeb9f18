"""python.py - every call of segment-analytics-python: python python.py URL KEY"""
# SPDX-License-Identifier: Apache-2.0
import datetime
import sys

from segment.analytics import Client

url, key = sys.argv[1:]
failed = []
a = Client(key, host=url, on_error=lambda e, items: failed.append(e), gzip=True, sync_mode=False)
at = datetime.datetime(2026, 11, 1, 10, 0, 0, 250000, tzinfo=datetime.timezone.utc)
a.identify('u-python', {'email': 'a@python', 'name': 'é😀', 'age': 42})
a.track('u-python', 'Order Completed', timestamp=at, integrations={'All': False, 'Mixpanel': True},
        properties={'mark': 'python-track', 'revenue': 1.5, 'nested': {'a': [1, None, True]},
                    'when': datetime.datetime(2020, 1, 1, 12)})
a.track(anonymous_id='anon-python', event='Visited', properties={'mark': 'python-anonymous'})
a.page('u-python', 'Main', 'Home', {'mark': 'python-page', 'url':
       'http://shop.example/a?utm_source=news&utm_medium=email'})
a.screen('u-python', 'Main', 'Cart', {'mark': 'python-screen'})
a.group('u-python', 'g-python', {'plan': 'pro'})
a.alias('u-python', 'u2-python')
a.flush()
a.shutdown()
for error in failed:
    print(error, file=sys.stderr)
sys.exit(1 if failed else 0)
