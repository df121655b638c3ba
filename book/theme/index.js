import Layout from './Layout.vue'
import ViewChoice from './ViewChoice.vue'
import './style.css'

export default {
  Layout,
  enhanceApp({ app }) {
    app.component('ViewChoice', ViewChoice)
  }
}
