import { render } from 'preact';
import { App } from './app.tsx';
import { followAddress } from './model/route.ts';
import { Session } from './model/session.ts';
import { followTheme } from './model/theme.ts';
import { takeToken } from './model/token.ts';
import './styles/base.css';
import './styles/shell.css';
import './styles/keys.css';
import './styles/value.css';
import './styles/views.css';
import './styles/archive.css';
import './styles/picture.css';

const root = document.getElementById('app');
if (root === null) throw new Error('the page has no #app');

followTheme();
const token = takeToken() ?? '';
followAddress();
const address = new URL('./', location.href);
address.protocol = address.protocol.replace('http', 'ws');
address.hash = '';
const session = new Session(address.href, token);
render(<App session={session} />, root);
await session.start();
